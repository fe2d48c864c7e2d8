"""Jobs: submit, follow, read, wait for and delete them; the workers that run them."""
