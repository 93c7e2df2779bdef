"""Image and text guides: CLIP and SigLIP models, their files, views and embeddings."""
