"""What an EC2NodeClass resolves to: status, conditions, hash, drift, and its end.

    aliases       families of images by name: which SSM parameters, for which instance types
    selectors     selector terms → questions to EC2
    images        answers → `status.amis`; which image an instance type gets
    networks, reservations     answers → the other lists of the status
    looking       asks, and makes a part of each answer
    profiles      a role's instance profile: made, left over, deleted
    checks, dryrun             what has to be right before anything is launched
    status        parts → the class as it should be
    drift         whether an instance is what its class asks for now
    farewell      what has to go before a class may
    classes       all of it together

Nothing here keeps time or state of the process: time comes in as an argument, and what was heard is in one `Memory`.
"""
