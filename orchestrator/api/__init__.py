"""HTTP in, HTTP out: requests become calls on the floors below, results become answers."""
