"""HTTP: the one door for requests, the app's HTTP functions and their routes, the page at `/`."""
