"""Resources of this machine: private files, room on its disks, descriptors, memory."""
