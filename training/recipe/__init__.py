"""TiTok's published training recipe: its losses, discriminator, codebook update and schedules.

arXiv 2406.07550, sections 3.2 and 3.3 (two stages), and arXiv 2501.07730, section 3.1 (one stage).
Every part is compared with the official code's outputs in tests/parity.
"""
