"""What the broker is told at its start, on the stack as in containers: its users, and what each of them may do."""
