"""What is true of categories, products, their readiness for sale, and reviews. Pure: decisions return facts."""
