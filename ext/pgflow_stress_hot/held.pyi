# Nothing of it is for Python: other modules of the extension cimport it (see the .pxd beside it).
