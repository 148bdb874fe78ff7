"""The settings of exports into a bucket; see settings.py."""

from pydantic import BaseModel, SecretStr

from domain.sink_settings import own


class ExportSettings(BaseModel):
    """The bucket that exports go to. It is the operator's: tenants are given signed URLs of their own files."""

    export_s3_bucket: str | None = own(
        "EXPORT_S3_BUCKET", None, "Exports (extra s3): the bucket; without it they are only streamed."
    )
    export_s3_prefix: str = own(
        "EXPORT_S3_PREFIX", "", "Exports: what every key begins with.", pattern="^[A-Za-z0-9._/=-]*$"
    )
    export_s3_endpoint: str | None = own(
        "EXPORT_S3_ENDPOINT", None, "Exports: http(s)://host:port of a store that is not AWS, as clients reach it."
    )
    export_s3_region: str | None = own("EXPORT_S3_REGION", None, "Exports: region of the bucket.")
    export_s3_access_key_id: str | None = own(
        "EXPORT_S3_ACCESS_KEY_ID", None, "Exports: access key; without it the usual chain of AWS (environment, role)."
    )
    export_s3_secret_access_key: SecretStr | None = own(
        "EXPORT_S3_SECRET_ACCESS_KEY", None, "Exports: the secret of the access key."
    )
    export_days: int = own("EXPORT_DAYS", 7, "Days a finished export and its file are kept.", ge=1, le=3650)
