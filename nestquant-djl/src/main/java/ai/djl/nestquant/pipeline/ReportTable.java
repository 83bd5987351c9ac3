package ai.djl.nestquant.pipeline;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * Named columns and rows of text and numbers, printed for reading or as CSV.
 *
 * <p>Not thread-safe while rows are added.
 */
public final class ReportTable {
    private final List<String> columns;
    private final List<List<Object>> rows = new ArrayList<>();

    ReportTable(String... columns) {
        this.columns = List.of(columns);
    }

    void add(Object... cells) {
        if (cells.length != columns.size()) {
            throw new IllegalArgumentException(cells.length + " cells for " + columns);
        }
        rows.add(List.of(cells));
    }

    /**
     * Returns the rows in aligned columns, numbers to four significant digits.
     *
     * @return lines, each ending with a newline
     */
    public String toText() {
        List<List<String>> lines = new ArrayList<>();
        lines.add(columns);
        rows.forEach(row -> lines.add(row.stream().map(ReportTable::forReading).toList()));
        int[] widths = new int[columns.size()];
        for (List<String> line : lines) {
            for (int i = 0; i < widths.length; i++) {
                widths[i] = Math.max(widths[i], line.get(i).length());
            }
        }
        StringBuilder text = new StringBuilder();
        for (List<String> line : lines) {
            for (int i = 0; i < widths.length; i++) {
                String alignment = i == 0 ? "%-" : "  %";
                text.append(String.format(alignment + widths[i] + "s", line.get(i)));
            }
            text.append('\n');
        }
        return text.toString();
    }

    private static String forReading(Object cell) {
        if (!(cell instanceof Double number)) {
            return cell.toString();
        }
        double size = Math.abs(number);
        if (size != 0 && size < 1e-4) {
            return String.format(Locale.ROOT, "%.3e", number);
        }
        return String.format(Locale.ROOT, size < 1 ? "%.5f" : "%.3f", number);
    }

    /**
     * Returns the rows as a Markdown table, numbers to four significant digits.
     *
     * @return lines, each ending with a newline
     */
    public String toMarkdown() {
        StringBuilder text = new StringBuilder(markdown(columns));
        text.append(markdown(columns.stream().map(column -> "---").toList()));
        for (List<Object> row : rows) {
            text.append(markdown(row.stream().map(ReportTable::forReading).toList()));
        }
        return text.toString();
    }

    private static String markdown(List<String> cells) {
        return "| " + String.join(" | ", cells).replace("*", "\\*") + " |\n";
    }

    /**
     * Returns the rows as an HTML table, numbers to four significant digits.
     *
     * @return a {@code table} element
     */
    public String toHtml() {
        StringBuilder text = new StringBuilder("<table>\n<thead>").append(html(columns, "th"));
        text.append("</thead>\n<tbody>\n");
        for (List<Object> row : rows) {
            text.append(html(row.stream().map(ReportTable::forReading).toList(), "td"));
        }
        return text.append("</tbody>\n</table>\n").toString();
    }

    private static String html(List<String> cells, String element) {
        StringBuilder text = new StringBuilder("<tr>");
        for (String cell : cells) {
            text.append('<').append(element).append('>').append(escaped(cell));
            text.append("</").append(element).append('>');
        }
        return text.append("</tr>\n").toString();
    }

    static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    }

    /**
     * Returns the rows as RFC 4180 lines with a header, numbers in full.
     *
     * @return lines, each ending with a newline
     */
    public String toCsv() {
        StringBuilder csv = new StringBuilder(String.join(",", columns)).append('\n');
        for (List<Object> row : rows) {
            csv.append(row.stream().map(ReportTable::quoted).collect(Collectors.joining(",")));
            csv.append('\n');
        }
        return csv.toString();
    }

    private static String quoted(Object cell) {
        String text = cell.toString();
        boolean plain = text.indexOf(',') < 0 && text.indexOf('"') < 0;
        return plain ? text : '"' + text.replace("\"", "\"\"") + '"';
    }
}
