"""Methods of perturbation search compared."""
