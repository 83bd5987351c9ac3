package ai.djl.nestquant.pipeline;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Map;
import java.util.Objects;

/**
 * A comparison as one HTML file that needs no other, or as Markdown with images beside it: tables,
 * plots and what was measured.
 *
 * <p>Stateless and safe for concurrent use.
 */
public final class ComparisonPage {

    private static final String TEMPLATE = "comparison.html";

    private ComparisonPage() {}

    /**
     * Makes the page.
     *
     * @param report the comparison
     * @return HTML
     * @throws IOException if the library's template is missing
     */
    public static String of(ComparisonReport report) throws IOException {
        ComparisonSettings settings = report.settings();
        StringBuilder plots = new StringBuilder();
        for (Map.Entry<String, byte[]> plot : ComparisonPlots.all(report).entrySet()) {
            image(plots, plot.getKey(), plot.getValue());
        }
        return template()
                .replace("${model}", ReportTable.escaped(settings.model()))
                .replace("${context}", Integer.toString(settings.context()))
                .replace("${windows}", Integer.toString(settings.windows()))
                .replace("${tokens}", Long.toString(settings.tokens()))
                .replace("${checksum}", settings.checksum())
                .replace("${calibration}", ReportTable.escaped(calibration(report)))
                .replace("${table}", report.toTable().toHtml())
                .replace("${paper}", report.toPaperTable().toHtml())
                .replace("${layers}", layers(report))
                .replace("${plots}", plots);
    }

    /**
     * Writes tables as Markdown, and the plots as PNG images beside it, named like the file.
     *
     * @param report the comparison
     * @param file where to, an existing file is replaced
     * @throws IOException if a file cannot be written
     */
    public static void writeMarkdown(ComparisonReport report, Path file) throws IOException {
        ComparisonSettings settings = report.settings();
        StringBuilder text = new StringBuilder();
        text.append(
                String.format(
                        "Model %s, %d windows of %d tokens without overlap, %d tokens in all"
                                + " (CRC-32 %s). Methods that need a text were calibrated for"
                                + " %s.%n%n",
                        settings.model(),
                        settings.windows(),
                        settings.context(),
                        settings.tokens(),
                        settings.checksum(),
                        calibration(report)));
        text.append(report.toTable().toMarkdown()).append('\n');
        text.append(report.toPaperTable().toMarkdown()).append('\n');
        if (!report.layerCosts().isEmpty()) {
            text.append(report.toSensitivityTable().toMarkdown()).append('\n');
        }
        for (Map.Entry<String, byte[]> plot : ComparisonPlots.all(report).entrySet()) {
            writeImage(text, plot.getKey(), plot.getValue(), file);
        }
        Files.writeString(file, text);
    }

    private static String layers(ComparisonReport report) {
        return report.layerCosts().isEmpty()
                ? ""
                : "<h2>KL of one layer alone</h2>\n" + report.toSensitivityTable().toHtml();
    }

    private static String calibration(ComparisonReport report) {
        return report.rows().stream()
                .map(ComparisonRow::calibration)
                .filter(Objects::nonNull)
                .findFirst()
                .orElse("the text that ships with the library");
    }

    private static void writeImage(StringBuilder text, String title, byte[] png, Path file)
            throws IOException {
        String base = file.getFileName().toString().replaceFirst("\\.[^.]*$", "");
        String what = title.substring(title.lastIndexOf(' ') + 1).replace('+', '-');
        String name = base + '-' + what + ".png";
        Files.write(file.resolveSibling(name), png);
        text.append("![").append(title).append("](").append(name).append(")\n\n");
    }

    private static void image(StringBuilder html, String title, byte[] png) {
        String data = Base64.getEncoder().encodeToString(png);
        html.append("<p><img alt=\"").append(ReportTable.escaped(title));
        html.append("\" src=\"data:image/png;base64,").append(data).append("\"></p>\n");
    }

    private static String template() throws IOException {
        try (InputStream in = ComparisonPage.class.getResourceAsStream(TEMPLATE)) {
            if (in == null) {
                throw new FileNotFoundException(
                        "the library's resource " + TEMPLATE + " is missing: its jar is damaged");
            }
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }
}
