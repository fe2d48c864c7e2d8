"""The typed fields of `ExifOutput`, each read from the raw tags of any format."""
