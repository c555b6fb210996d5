"""WHAT runs, and do nodes agree?  Reports of data planes, and the notes of who tends them."""
