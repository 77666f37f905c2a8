"""What is true of people, their sessions and their shops. Pure: decisions return facts."""
