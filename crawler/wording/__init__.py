"""Parts of messages for people: numbers in sentences, foreign text made safe, places in code, masked secrets."""
