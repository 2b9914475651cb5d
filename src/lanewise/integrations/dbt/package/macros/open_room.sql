{# Before anything runs: on DuckDB each source of the project becomes a view over the run's pinned input. On PostgreSQL
   sources are read where they are, by the macro `source` that is laid into the project. #}
{% macro open_room() %}
  {% if execute and target.type == 'duckdb' %}
    {% set attached = [] %}
    {% for node in graph.sources.values() %}
      {% set found = lanewise.input_of(node.source_name, node.name, node.schema, node.identifier) %}
      {% if found is not none %}
        {% if node.database and node.database != target.database and node.database not in attached %}
          {% do attached.append(node.database) %}
          attach if not exists ':memory:' as {{ adapter.quote(node.database) }};
        {% endif %}
        {% set relation = api.Relation.create(node.database, node.schema, node.identifier) %}
        create schema if not exists {{ relation.include(identifier=false) }};
        {% if found.kind == 'files' %}
          create or replace view {{ relation }} as from {{ found.reader }}({{ found.files }});
        {% else %}
          attach if not exists {{ found.catalog }} as {{ found.alias }} (read_only);
          create or replace view {{ relation }} as from {{ found.alias }}.{{ found.relation }};
        {% endif %}
      {% endif %}
    {% endfor %}
  {% endif %}
{% endmacro %}

{# What a source reads in this run; none where it is no input of the pipeline. #}
{% macro input_of(source_name, table, schema, identifier) %}
  {% set inputs = lanewise.room().inputs %}
  {% for name in [source_name ~ '.' ~ table, schema ~ '.' ~ identifier, identifier] %}
    {% if name in inputs %}{{ return(inputs[name]) }}{% endif %}
  {% endfor %}
  {{ return(none) }}
{% endmacro %}
