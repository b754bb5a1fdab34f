"""What the crawler is made of: addresses, manners, and web pages as Markdown."""
