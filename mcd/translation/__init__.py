"""What the pre-trained generators make of test slices: Table IV and Figs. 3 and 4 (paper Sec. V-B)."""
