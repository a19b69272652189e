"""What the embedded tasks share: scikit-learn's digits and the judges trained on them."""
