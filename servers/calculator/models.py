"""What the tools return; numbers are decimal text, so that no digit is lost on the way."""

from pydantic import BaseModel, Field


class Evaluation(BaseModel):
    result: str = Field(description="The value in decimal digits, or p/q in mode exact.")
    is_exact: bool = Field(description="False: result is rounded to `precision` digits.")
    fraction: str | None = Field(
        default=None, description="The exact value p/q when result is rounded."
    )


class Conversion(BaseModel):
    result: str = Field(description="The converted number, up to 15 significant digits.")
    from_unit: str = Field(description="How from_unit was understood.")
    to_unit: str = Field(description="The unit of result, in full.")


class DateResult(BaseModel):
    result: str = Field(description="The answer in words.")
    date: str | None = None
    weekday: str | None = None
    days: int | None = Field(default=None, description="All days, or workdays, of the span.")
    years: int | None = None
    months: int | None = Field(default=None, description="Months beyond the years.")
    remaining_days: int | None = Field(default=None, description="Days beyond years and months.")
    iso_week: str | None = None


class StatisticsResult(BaseModel):
    results: dict[str, str] = Field(description="Value by name, up to 15 significant digits.")


class FinanceResult(BaseModel):
    result: str
    meaning: str = Field(description="What result is.")
    details: dict[str, str] = Field(description="Further figures by name.")
