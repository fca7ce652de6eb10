"""The stage: objects of many looks that move on several grounds, in any weather and style, with
the exact truth."""
