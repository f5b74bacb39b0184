"""Built-in Strategies: pure algorithms over a network and its results. None yet: they come with their issue."""
