"""The methods of registries by their full names, without a leading slash."""

from __future__ import annotations

PUBLISH = "consilience.v1.RegistryService/PublishRecord"
GET_RECORD = "consilience.v1.RegistryService/GetRecord"
LIST_RECORDS = "consilience.v1.RegistryService/ListRecords"
FIND_NODES = "consilience.v1.RegistryService/FindNodes"
SYNC_RECORDS = "consilience.v1.RegistryService/SyncRecords"
