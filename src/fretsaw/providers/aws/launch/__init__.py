"""Launching, finding and ending EC2 instances for NodeClaims.

orders        NodeClaims → instances: at most one each, whatever crashes in between
batcher       equal questions that come at about the same time, asked as one
marks         the tags by which an instance belongs to a NodeClaim
fleet         what CreateFleet is asked, and what it answers: pure
templates     launch templates: there when they are needed, gone when they are not
subnets       which subnet of a zone, by free addresses
refusals      AWS's error codes, sorted
unavailable   offerings that lately could not be had, and why
instances     the instances that there are: listed, described, ended, tagged
"""
