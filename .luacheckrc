std = "lua54"
max_line_length = 78
files["spec"] = {std = "+busted"}
exclude_files = {"build", "spec/orders"}
