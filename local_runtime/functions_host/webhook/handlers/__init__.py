"""What answers each route: one handler for each operation of the contract."""
