"""Images on the way in and out: fit, paste, masks and crops; every resize is here."""
