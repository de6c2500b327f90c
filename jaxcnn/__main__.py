"""``python -m jaxcnn``: the command line, where its script is not in the path."""

from jaxcnn.cli import main

if __name__ == "__main__":
    main()
