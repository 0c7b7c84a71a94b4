"""Why a pre-training helps or not: translations, L_C's task, features, shared layers and what fine-tuning leaves of them.

Numbers of a pre-training (`mcd.diagnosis.run`, with torch), and what they say in words (`mcd.diagnosis.findings`, without).
"""
