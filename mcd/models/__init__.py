"""Networks: the U-Net, the domain-sharing generator made of two of them, and the patch discriminator. Pure torch."""
