"""The NumPy twins of the balanced iterations, in buffers of their own: skip this folder on a first reading.

``line`` serves every kernel of the kernel domain, ``image`` those of images. The plain versions, in `transport`,
`barycenters` and `gradients`, are what the tests hold them to.
"""
