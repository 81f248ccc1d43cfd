"""The experiments of the papers that this benchmark comes from."""
