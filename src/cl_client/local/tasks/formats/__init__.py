"""How files are built: TIFF directories, boxes of HEIC and AVIF, Photoshop's resources, XMP, signatures."""
