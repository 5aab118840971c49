"""The real clients under test; they know neither the fake servers nor the checks."""
