package ai.djl.nestquant.pipeline;

import com.google.gson.GsonBuilder;

/** What a study found: as a table, JSON, CSV or a plot. */
public interface StudyReport {
    /**
     * Returns the rows as a table for terminals and CSV files.
     *
     * @return the table
     */
    ReportTable toTable();

    /**
     * Returns the rows as a plot over the rate.
     *
     * @return the plot
     */
    RatePlot toPlot();

    /**
     * Returns the whole report as one JSON object, its rows in the list {@code rows}.
     *
     * @return JSON
     */
    default String toJson() {
        return new GsonBuilder().disableHtmlEscaping().create().toJson(this);
    }
}
