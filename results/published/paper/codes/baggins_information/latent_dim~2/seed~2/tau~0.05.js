vaebenchCodes("baggins_information-216b066d85c7",{});
