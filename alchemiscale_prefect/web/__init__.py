"""The pages. None yet: they come with the issue that draws them."""
