"""The page of all diagnoses (`mcd.diagnosis`)."""
