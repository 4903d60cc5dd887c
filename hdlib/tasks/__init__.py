"""What is learned."""

from hdlib.tasks.images import TRAIN_SIZE, Dataset, Images, Split, load_images

__all__ = ["TRAIN_SIZE", "Dataset", "Images", "Split", "load_images"]
