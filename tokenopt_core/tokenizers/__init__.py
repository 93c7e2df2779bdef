"""TiTok, TA-TiTok and MaskGIT-VQGAN behind one `Tokenizer`."""
