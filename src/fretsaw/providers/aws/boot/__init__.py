"""How a node is made from an image: user data of each AMI family and launch template data.

    values        what user data is made of
    user_data     the family's text, and how long it may be
    al2, al2023, bottlerocket, windows     one family each; mime, toml and kubelet are what they share
    devices, interfaces, template          the rest of a launch template

Pure functions from values to text and to EC2's own shapes.
"""
