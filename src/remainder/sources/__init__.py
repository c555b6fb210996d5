"""WHERE does the configuration come from?"""
