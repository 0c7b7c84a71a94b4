"""Translations of test slices by the pre-trained generators: Table IV and Figs. 3 and 4 (paper Sec. V-B)."""
