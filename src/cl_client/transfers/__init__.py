"""Files on their way: streamed multipart uploads, and downloads that are whole or not there at all."""

from cl_client.transfers.download import JobFileStream as JobFileStream
from cl_client.transfers.names import base_name as base_name
from cl_client.transfers.progress import ByteProgress as ByteProgress
from cl_client.transfers.progress import FilesProgress as FilesProgress
from cl_client.transfers.sources import BinaryFile as BinaryFile
from cl_client.transfers.sources import FileSource as FileSource
from cl_client.transfers.sources import UploadStream as UploadStream
