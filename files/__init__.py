"""Files that are whole or not there, and folders of models: the ground that everything stands
on."""
