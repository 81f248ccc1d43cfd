"""Search methods, one a file, written against the public names of nasbench_rl alone.

Each is registered in the entry-point group ``nasbench_rl.methods``, as a third party's method is.
"""
