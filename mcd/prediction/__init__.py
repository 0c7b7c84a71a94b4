"""What a trained network predicts: slices, volumes, fusion, scores, the masks on the raw grid; its card and its ONNX form."""
