"""The whole system on one machine, for `up`, `demo` and the acceptance tests."""
