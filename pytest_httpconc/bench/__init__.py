"""The benchmark harness and the regression gate."""
