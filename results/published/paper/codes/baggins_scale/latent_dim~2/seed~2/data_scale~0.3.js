vaebenchCodes("baggins_scale-aa25de215ec2",{});
