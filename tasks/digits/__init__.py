"""scikit-learn's digits, which the embedded tasks share."""
